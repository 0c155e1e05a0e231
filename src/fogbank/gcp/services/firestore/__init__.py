"""Firestore in native mode: documents, queries, transactions and listeners; no index needs to be declared."""
