"""Amazon Cognito user pools: people who sign up and sign in, and the tokens that say so."""
