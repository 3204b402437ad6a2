"""Ask and change in the database what only pages of the console need."""
