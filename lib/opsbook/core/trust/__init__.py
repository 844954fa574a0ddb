"""Who may run what: signing, approvals, windows, labels, the protected branch, emergencies and their reviews."""
