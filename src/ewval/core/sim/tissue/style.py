"""How a generated piece of tissue looks, and how it was cut into segments."""

from dataclasses import dataclass, replace

import numpy as np


@dataclass(frozen=True, slots=True)
class Style:
    """Everything that varies between generated worlds. Lengths are in raw voxels, grey values 0 to 255.

    Args:
        calibre: Median radius of a neurite.
        calibre_spread: Standard deviation of the logarithm of the radius.
        packing: Share of space that tubes fill before they swell until they touch.
        branching: Chance of a branch for each radius of length.
        twigs: Chance of a short thin twig for each radius of length, on thick neurites.
        tortuosity: How fast neurites change direction.
        bundling: 0 for directions drawn freely, 1 for neurites that run side by side.
        swelling: Relative depth of varicosities.
        somata: Cell bodies for each 10^8 voxels.
        warp: Amplitude of the waves in the surfaces between neurites.
        cytoplasm: Grey of cytoplasm.
        cytoplasm_spread: Standard deviation of that grey between neurites.
        membrane: How much darker membranes are.
        membrane_width: Standard deviation of a membrane's profile.
        gaps: Share of membrane area that fades away.
        dark_cells: Share of neurites whose cytoplasm is much darker than the others'.
        texture: Amplitude of the granular texture of cytoplasm.
        mottle: Amplitude of its coarse dark patches.
        mitochondria: Share of the length of thick neurites that has a mitochondrion.
        mitochondrion_size: Their thickness, 1 for a third to a half of the neurite's.
        mitochondrion: How much darker they are than cytoplasm.
        vesicles: Share of varicosities that are filled with vesicles.
        synapses: Share of membrane area that is thick and dark.
        noise: Standard deviation of the detector's noise.
        blur: Standard deviation of the microscope's blur.
        grain: Blur of that noise within a section; it takes some of its strength away.
        jpeg: Quality of the compression of sections.
        drift: Standard deviation of brightness between sections.
        faults: Share of sections that are too dark, too bright or without contrast.
        spills: Black spills for each 10^8 voxels.
        reticulum: How much darker endoplasmic reticulum is than cytoplasm.
        squeeze: Distance between sections, in voxel edges of a section.
        splitting: Strength of false boundaries across neurites in the segmentation.
        fragments: Noise of the boundary evidence: more of it, more small segments.
        merging: Share of membrane area that the segmentation overlooks although it is visible.
        boundary: Thickness of the boundaries left 0 between segments.
        necks: Distances to the nearest boundary, in grid voxels, falling: a process that is connected at the first
            stays whole, what is thinner falls apart where it is thinner than the next.
        from_image: Whether the segmentation looks for boundaries in the picture itself, noise and all, or is told of
            the membranes.
        lines: Whether a line of 0 is drawn between segments that no boundary parts.
        told: Share of the evidence of a detector that looks at the picture which comes from the membranes themselves.
    """

    calibre: float = 11.0
    calibre_spread: float = 0.5
    packing: float = 0.5
    branching: float = 0.012
    twigs: float = 0.08
    tortuosity: float = 0.2
    bundling: float = 0.3
    swelling: float = 0.3
    somata: float = 3.0
    warp: float = 3.0
    cytoplasm: float = 168.0
    cytoplasm_spread: float = 10.0
    membrane: float = 95.0
    membrane_width: float = 1.6
    gaps: float = 0.012
    dark_cells: float = 0.05
    texture: float = 9.0
    mottle: float = 5.0
    mitochondria: float = 0.3
    mitochondrion_size: float = 1.0
    mitochondrion: float = 40.0
    vesicles: float = 0.3
    synapses: float = 0.03
    noise: float = 11.0
    blur: float = 0.6
    grain: float = 0.45
    jpeg: int = 25
    drift: float = 1.5
    faults: float = 0.004
    spills: float = 2.0
    reticulum: float = 34.0
    squeeze: float = 1.0
    splitting: float = 0.6
    fragments: float = 0.06
    merging: float = 0.006
    boundary: float = 2.5
    necks: tuple[float, ...] = (4.0, 2.5, 1.7, 0.9)
    from_image: bool = False
    lines: bool = False
    told: float = 0.0


def draw_style(rng: np.random.Generator) -> Style:
    """Return a style at random: tissue, staining, microscope and segmentation all vary, independently."""
    width = rng.uniform(1.0, 2.6)
    coarse = rng.random()
    return Style(
        calibre=float(rng.uniform(7, 16)),
        calibre_spread=float(rng.uniform(0.3, 0.7)),
        packing=float(rng.uniform(0.4, 0.6)),
        branching=float(rng.uniform(0.004, 0.025)),
        twigs=float(rng.uniform(0.0, 0.15)),
        tortuosity=float(rng.uniform(0.08, 0.35)),
        bundling=float(rng.uniform(0.0, 0.8)),
        swelling=float(rng.uniform(0.1, 0.5)),
        somata=float(rng.choice([0.0, 3.0, 8.0])),
        warp=float(rng.uniform(1.0, 4.0)),
        cytoplasm=float(rng.uniform(140, 195)),
        cytoplasm_spread=float(rng.uniform(2, 16)),
        dark_cells=float(rng.choice([0.0, 0.05, 0.15])),
        membrane=float(rng.uniform(45, 120)),
        membrane_width=float(width),
        gaps=float(rng.choice([0.0, 0.01, 0.03])),
        texture=float(rng.uniform(3, 14)),
        mottle=float(rng.choice([0.0, 1.0]) * rng.uniform(4, 22)),
        mitochondria=float(rng.uniform(0.0, 0.6)),
        mitochondrion_size=float(rng.uniform(0.7, 2.0)),
        mitochondrion=float(rng.uniform(20, 75)),
        vesicles=float(rng.uniform(0.0, 0.6)),
        synapses=float(rng.uniform(0.0, 0.06)),
        noise=float(rng.uniform(4, 18)),
        blur=float(rng.uniform(0.0, 1.2)),
        drift=float(rng.uniform(0.0, 4.0)),
        faults=float(rng.choice([0.0, 0.004, 0.02])),
        spills=float(rng.choice([0.0, 2.0, 6.0])),
        splitting=float(rng.uniform(0.0, 1.0)),
        fragments=float(rng.uniform(0.02, 0.12)),
        merging=float(rng.choice([0.0, 0.004, 0.015])),
        boundary=float(rng.uniform(2.0, 3.5)),
        necks=(4 + 4 * coarse, 2.5 + 2 * coarse, 1.7 + coarse, 0.9 + 0.4 * coarse),
    )


def draw_retina(rng: np.random.Generator) -> Style:
    """Return a style like that of E2198: mouse retina stained at the cell surface, sections 23 nm apart.

    Cytoplasm is flat and without organelles, membranes are thin and of low contrast, some of them faint; the noise is
    nearly white. The shapes vary within narrow bounds.
    """
    return Style(
        calibre=float(rng.uniform(10, 11)),
        calibre_spread=0.35,
        packing=float(rng.uniform(0.45, 0.55)),
        branching=float(rng.uniform(0.01, 0.02)),
        twigs=0.02,
        tortuosity=float(rng.uniform(0.15, 0.3)),
        bundling=float(rng.uniform(0.0, 0.3)),
        somata=0.0,
        warp=2.0,
        cytoplasm=174.0,
        cytoplasm_spread=2.0,
        membrane=float(rng.uniform(52, 58)),
        membrane_width=1.0,
        gaps=0.008,
        dark_cells=0.0,
        texture=0.0,
        mottle=0.0,
        mitochondria=0.0,
        vesicles=0.0,
        synapses=0.0,
        noise=9.6,
        grain=0.42,
        jpeg=90,
        blur=0.3,
        drift=1.0,
        faults=0.002,
        spills=4.0,
        reticulum=0.0,
        squeeze=23 / 16.5,
        fragments=0.03,
        merging=0.0,
        splitting=0.2,
        boundary=2.2,
        from_image=True,
        told=0.3,
        lines=True,
    )


def draw_retina_like(rng: np.random.Generator) -> Style:
    """Return a style varied widely around E2198's in everything that counts.

    The real volumes do not all look like the slice that `draw_retina` follows: what was learned from these styles
    should hold on either side of it.
    """
    return replace(
        draw_retina(rng),
        calibre=float(rng.uniform(8, 14)),
        calibre_spread=float(rng.uniform(0.3, 0.6)),
        packing=float(rng.uniform(0.42, 0.58)),
        branching=float(rng.uniform(0.006, 0.025)),
        twigs=float(rng.uniform(0.0, 0.08)),
        tortuosity=float(rng.uniform(0.1, 0.35)),
        bundling=float(rng.uniform(0.0, 0.6)),
        swelling=float(rng.uniform(0.15, 0.45)),
        warp=float(rng.uniform(1.0, 3.5)),
        cytoplasm_spread=float(rng.uniform(1, 8)),
        dark_cells=float(rng.choice([0.0, 0.03])),
        membrane=float(rng.uniform(45, 95)),
        membrane_width=float(rng.uniform(0.8, 1.5)),
        gaps=float(rng.uniform(0.0, 0.016)),
        texture=float(rng.choice([0.0, 1.0]) * rng.uniform(0, 6)),
        mitochondria=float(rng.choice([0.0, 0.2])),
        vesicles=float(rng.choice([0.0, 0.2])),
        noise=float(rng.uniform(6, 13)),
        grain=float(rng.uniform(0.3, 0.55)),
        jpeg=int(rng.choice([75, 90, 95])),
        blur=float(rng.uniform(0.0, 0.8)),
        drift=float(rng.uniform(0.0, 2.5)),
        faults=float(rng.choice([0.0, 0.002, 0.01])),
        spills=float(rng.choice([0.0, 4.0])),
        squeeze=float(rng.uniform(1.0, 1.6)),
        fragments=float(rng.uniform(0.02, 0.06)),
        splitting=float(rng.uniform(0.0, 0.6)),
        boundary=float(rng.uniform(1.9, 3.0)),
        told=float(rng.uniform(0.2, 0.6)),
        lines=bool(rng.random() < 0.7),
    )


def draw_detected(rng: np.random.Generator) -> Style:
    """Return a style at random, its segments found in the picture by a detector that mostly knows the membranes.

    Cuts then lie where the picture made it doubt, as in a real over-segmentation.
    """
    return replace(
        draw_style(rng),
        noise=float(rng.uniform(4, 14)),
        grain=float(rng.uniform(0.3, 0.6)),
        jpeg=int(rng.choice([25, 75, 95])),
        squeeze=float(rng.choice([1.0, rng.uniform(1.0, 1.6)])),
        reticulum=float(rng.choice([0.0, 1.0]) * rng.uniform(10, 40)),
        fragments=float(rng.uniform(0.02, 0.06)),
        splitting=float(rng.uniform(0.0, 0.6)),
        boundary=float(rng.uniform(1.9, 3.2)),
        from_image=True,
        lines=bool(rng.random() < 0.6),
        told=float(rng.uniform(0.5, 0.9)),
    )
