"""Several processes as one: started, watched by the work they finish, started again; called by commands."""
