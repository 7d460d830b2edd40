"""What can be said of plans and checks without asking anybody: what lint finds, the questions of a run, schemas,
reference pages, explanations."""
