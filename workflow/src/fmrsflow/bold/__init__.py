"""BOLD signal in the MRS voxel: response, connectivity, and its accord with glutamate."""
