"""What can be said of plans and checks without asking: lint, questions, requests, schemas, pages, explanations."""
