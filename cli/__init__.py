"""The one command, `countermark`: parse, call, print."""
