"""Cloud Functions of both generations: what is deployed, how it is built, where it answers and to whom."""
