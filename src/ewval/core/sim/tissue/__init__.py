"""Generated tissue and its image: neurites, membranes, microscope, over-segmentation."""
