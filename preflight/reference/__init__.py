"""What can be said of plans and checks without asking anybody: what lint finds, the questions of a run, what to request
from whom, schemas, reference pages, explanations."""
