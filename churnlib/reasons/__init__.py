"""Why customers leave: what they say, what the data show, what events did, and where these disagree."""
