"""What tunings cost: prices, the books of what existed, reports, the budget."""
