"""What can be said of plans and checks from their own declarations: schema, reference pages, explanations."""
