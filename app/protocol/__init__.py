"""What requests and answers say, whichever transport carries them: budgets, windows, tensors."""
