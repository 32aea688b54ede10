"""What the columns of a segment graph are called; forests keep these names to be told from those of another form."""

__all__ = ["CONTACT_NAMES", "SEGMENT_NAMES"]

CONTACT_NAMES = (
    "face_mean", "face_std", "face_darker", "face_rank", "gap_0", "gap_1", "gap_2", "gap_3", "gap_5",
    "direct_area", "face_q5", "face_q10", "face_q25", "face_q50", "face_q75", "face_q90", "face_q95",
    "rise_mean_1", "rise_least_1", "sides_differ_1", "rise_mean_2", "rise_least_2", "sides_differ_2",
    "rise_mean_3", "rise_least_3", "sides_differ_3", "dip_3", "dip_share", "no_dip_share", "rise_mean_5",
    "rise_least_5", "sides_differ_5", "dip_5", "rise_mean_8", "rise_least_8", "sides_differ_8", "log_area",
    "log_projected", "flatness", "log_thickness", "log_elongation", "log_filling", "log_thin", "inside_least_4",
    "inside_most_4", "inside_least_8", "inside_most_8", "inside_least_16", "inside_most_16", "thick_least_4",
    "thick_most_4", "thick_relative_4", "thick_least_8", "thick_most_8", "thick_relative_8", "least_log_voxels",
    "most_log_voxels", "least_mean", "most_mean", "least_spread", "most_spread", "least_log_touching",
    "most_log_touching", "least_log_neighbours", "most_log_neighbours", "least_log_outer", "most_log_outer",
    "least_outer_share", "most_outer_share", "least_thickest", "most_thickest", "least_slenderness",
    "most_slenderness", "least_compactness", "most_compactness", "share_least", "share_most", "means_differ",
    "spreads_differ", "contact_to_size", "below_darker", "below_brighter", "window2_covered",
    "window2_elongation", "window2_flatness", "window2_elongation_least", "window2_elongation_most",
    "window2_flatness_least", "window2_flatness_most", "window2_along_normal", "window2_along_normal_least",
    "window2_along_normal_most", "window2_parallel", "window2_straight", "window2_apart",
    "window2_mean_differs", "window2_mean_least", "window2_mean_most", "window2_spread_differs",
    "window2_contact_rise", "window2_volume_least", "window2_volume_most", "window2_volume_ratio",
    "window2_convexity", "window2_contact_to_volume", "window2_contact_to_least_section",
    "window2_contact_to_most_section", "window4_covered", "window4_elongation", "window4_flatness",
    "window4_elongation_least", "window4_elongation_most", "window4_flatness_least", "window4_flatness_most",
    "window4_along_normal", "window4_along_normal_least", "window4_along_normal_most", "window4_parallel",
    "window4_straight", "window4_apart", "window4_mean_differs", "window4_mean_least", "window4_mean_most",
    "window4_spread_differs", "window4_contact_rise", "window4_volume_least", "window4_volume_most",
    "window4_volume_ratio", "window4_convexity", "window4_contact_to_volume",
    "window4_contact_to_least_section", "window4_contact_to_most_section",
)  # fmt: skip
"""Numbers of a contact, in the order of `SegmentGraph.evidence`."""
SEGMENT_NAMES = (
    "log_voxels", "mean", "spread", "log_touching", "log_neighbours", "log_outer", "outer_share", "thickest",
    "slenderness", "compactness",
)  # fmt: skip
"""Numbers of a segment, in the order of `SegmentGraph.segments`."""
