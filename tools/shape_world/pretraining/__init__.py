"""How the shape world's weights are made: one file a network, each trained from one seed by one
function."""
