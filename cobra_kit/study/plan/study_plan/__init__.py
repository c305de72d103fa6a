"""What a study has to do: one run per arm and seed."""
