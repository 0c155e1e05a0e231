"""The rpcs of Firestore, a file for each noun."""
