"""Who may: signing, approvals, windows, labels, the protected branch, emergencies and their reviews."""
