"""What rules and mappings have in common on trial: both turn what arrived at a layer into what its inputs get."""
