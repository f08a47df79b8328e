"""The workspace: a folder, its settings, roles and ledger, and its slots for jobs; knows no other room."""
