"""Who is who at Google: service accounts, the tokens that say so, and the keys that sign them. Below all services."""
