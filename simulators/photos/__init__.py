"""Good pictures, made different enough from each other to be a real choice, out of real photographs."""
