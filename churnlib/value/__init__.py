"""What churn is worth: the books in money, who brings it, who takes it along, and what is still to come."""
