"""Operations that take a while, of all services: looked at, waited for and forgotten by their names."""
