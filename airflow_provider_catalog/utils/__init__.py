"""What several of the operators, sensors and transfers share."""
