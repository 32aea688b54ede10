"""The report of an evaluation: plots, pictures of tasks, and the page that holds them."""
