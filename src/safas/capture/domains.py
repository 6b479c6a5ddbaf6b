"""The four simulated domains: one device, its rooms, its attackers and their habits each.

The habits are what makes the benchmark hard. In every domain something besides the re-capture separates attacks
from live faces, as in the real sets, and each of these accidents points one way in two domains and the other way
in the other two, so that the majority among any three of them misleads in the fourth:

attacks against live faces | phone   | webcam  | laptop  | tablet
blur                       | softer  | sharper | softer  | sharper
colour of the light        | warmer  | warmer  | colder  | colder
contrast (stray light)     | less    | more    | less    | more
surroundings               | plainer | plainer | richer  | richer
compression                | coarser | finer   | coarser | finer
exposure                   | darker  | lighter | lighter | darker
distance                   | closer  | farther | farther | closer
"""

from dataclasses import dataclass

from safas.capture.camera import Camera
from safas.capture.instruments import Printer, Screen

Spread = tuple[float, float]  # mean and standard deviation over clips


@dataclass(frozen=True)
class Habit:
    """How clips of one label come out in one domain."""

    blur_px: Spread  # of the lens, on the sensor
    warmth: Spread  # log2 of red over blue
    exposure_ev: Spread  # stops from the automatic exposure
    face_px: Spread  # height of the face at the nominal frame size
    flare: Spread  # stray light in the lens, as a share of the picture's mean
    compression: Spread  # added to the camera's quality setting: more = coarser and smaller files
    clutter: Spread  # how much there is to see around: 0 = a bare wall, 1 = leaves, shelves, crowds


@dataclass(frozen=True)
class Attack:
    """One instrument in use. Species as in the sample table."""

    species: str  # print | cut | replay_photo | replay_video
    instrument: Printer | Screen
    handheld: bool


@dataclass(frozen=True)
class Domain:
    """A place: camera, room and people's habits. Colours are linear RGB."""

    name: str
    camera: Camera
    walls: tuple[tuple[float, float, float], ...]
    key: tuple[float, float, float]  # colour of the main lamp
    ambient: tuple[float, float, float]
    lamp_height: Spread  # radians above the horizon
    lamp_side: Spread  # radians to the right
    live: Habit
    attack: Habit
    attacks: tuple[Attack, ...]  # one clip each per person


_PHONE = Domain(
    name="phone",
    camera=Camera(
        width=240, height=320, fps=24, codec="libx264", quality=21, container="mp4",
        lens_px=0.40, full_well=4000, sharpen=0.9, contrast=0.25, saturation=1.2,
    ),
    walls=((0.55, 0.60, 0.66), (0.35, 0.42, 0.36), (0.62, 0.58, 0.52)),
    key=(0.95, 1.00, 1.08), ambient=(0.42, 0.45, 0.50),
    lamp_height=(0.9, 0.25), lamp_side=(0.3, 0.6),
    live=Habit(
        blur_px=(0.50, 0.13), warmth=(-0.10, 0.18), exposure_ev=(0.14, 0.25),
        face_px=(93, 9), flare=(0.06, 0.05), compression=(-4.0, 2.0), clutter=(0.6, 0.2),
    ),
    attack=Habit(
        blur_px=(0.95, 0.18), warmth=(0.34, 0.18), exposure_ev=(-0.34, 0.25),
        face_px=(103, 9), flare=(0.15, 0.08), compression=(4.0, 2.0), clutter=(0.3, 0.2),
    ),
    attacks=(
        Attack("print", Printer("print/laser-gloss", 1.15, True, gloss=0.25, bend=0.5), True),
        Attack("cut", Printer("print/inkjet", 0.42, False, paper=(0.88, 0.86, 0.80), depth=0.42, bend=0.8), True),
        Attack("replay_photo", Screen("display/monitor", 1.51, grid=0.70, black=0.032, glare=0.2, banding=0.16, bands=3.5), False),
        Attack("replay_video", Screen("display/tablet", 1.12, grid=0.65, black=0.048, glare=0.35, banding=0.12, bands=5.0), True),
    ),
)  # fmt: skip

_WEBCAM = Domain(
    name="webcam",
    camera=Camera(
        width=320, height=240, fps=15, codec="mjpeg", quality=4, container="avi",
        lens_px=0.50, full_well=1500, read_noise=8, denoise_px=1.4, sharpen=0.35, contrast=0.05, saturation=0.9,
        white=(0.96, 1.0, 1.05),
    ),
    walls=((0.62, 0.52, 0.38), (0.50, 0.36, 0.28), (0.58, 0.56, 0.48)),
    key=(1.12, 0.98, 0.80), ambient=(0.30, 0.26, 0.22),
    lamp_height=(0.7, 0.2), lamp_side=(-0.5, 0.5),
    live=Habit(
        blur_px=(1.05, 0.18), warmth=(0.00, 0.18), exposure_ev=(-0.16, 0.25),
        face_px=(105, 9), flare=(0.50, 0.15), compression=(0.5, 0.8), clutter=(0.6, 0.2),
    ),
    attack=Habit(
        blur_px=(0.48, 0.13), warmth=(0.36, 0.18), exposure_ev=(0.06, 0.25),
        face_px=(95, 9), flare=(0.06, 0.05), compression=(0.0, 0.8), clutter=(0.3, 0.2),
    ),
    attacks=(
        Attack("print", Printer("print/inkjet", 0.38, False, paper=(0.86, 0.86, 0.86), depth=0.42, bend=0.4), False),
        Attack("print", Printer("print/laser-copy", 1.10, True, paper=(0.80, 0.80, 0.78), gloss=0.05), True),
        Attack("replay_photo", Screen("display/phone", 1.05, grid=0.65, black=0.045, gamut=0.95, glare=0.45, banding=0.17, bands=4.5), True),
        Attack("replay_video", Screen("display/monitor", 1.44, grid=0.75, black=0.072, gamut=0.75, banding=0.2, bands=3.0), False),
    ),
)  # fmt: skip

_LAPTOP = Domain(
    name="laptop",
    camera=Camera(
        width=320, height=240, fps=12, codec="libx264", quality=25, container="mov",
        lens_px=0.45, full_well=2000, read_noise=6, denoise_px=1.8, sharpen=0.7, contrast=0.35, saturation=1.05,
        white=(1.04, 1.0, 0.97), vignette=0.25,
    ),
    walls=((0.40, 0.40, 0.42), (0.68, 0.68, 0.66), (0.30, 0.34, 0.42)),
    key=(1.00, 1.00, 0.96), ambient=(0.22, 0.23, 0.24),
    lamp_height=(0.5, 0.25), lamp_side=(0.9, 0.4),
    live=Habit(
        blur_px=(0.50, 0.13), warmth=(0.18, 0.18), exposure_ev=(-0.20, 0.25),
        face_px=(105, 9), flare=(0.06, 0.05), compression=(-4.0, 2.0), clutter=(0.3, 0.2),
    ),
    attack=Habit(
        blur_px=(0.95, 0.18), warmth=(0.08, 0.18), exposure_ev=(0.04, 0.25),
        face_px=(95, 9), flare=(0.14, 0.08), compression=(4.0, 2.0), clutter=(0.6, 0.2),
    ),
    attacks=(
        Attack("print", Printer("print/laser", 0.85, True, paper=(0.90, 0.90, 0.92), bend=0.3), True),
        Attack("cut", Printer("print/laser-gloss", 1.00, True, gloss=0.2, bend=0.7), True),
        Attack("replay_video", Screen("display/phone", 1.19, grid=0.70, black=0.024, gamut=0.9, glare=0.3, banding=0.12, bands=6.0), True),
        Attack("replay_video", Screen("display/tv", 1.69, grid=0.70, black=0.064, contrast=1.15, banding=0.18, bands=4.0), False),
    ),
)  # fmt: skip

_TABLET = Domain(
    name="tablet",
    camera=Camera(
        width=288, height=256, fps=30, codec="libx264", quality=20, container="mp4",
        lens_px=0.42, full_well=3000, read_noise=4, denoise_px=1.0, sharpen=0.55, contrast=0.15, saturation=0.95,
        white=(0.98, 1.0, 1.03), vignette=0.1,
    ),
    walls=((0.66, 0.62, 0.64), (0.45, 0.50, 0.40), (0.56, 0.44, 0.44)),
    key=(0.98, 0.97, 1.00), ambient=(0.55, 0.54, 0.54),
    lamp_height=(1.1, 0.2), lamp_side=(-0.2, 0.8),
    live=Habit(
        blur_px=(1.02, 0.18), warmth=(0.12, 0.18), exposure_ev=(0.16, 0.25),
        face_px=(92, 9), flare=(0.50, 0.15), compression=(1.0, 2.0), clutter=(0.3, 0.2),
    ),
    attack=Habit(
        blur_px=(0.48, 0.13), warmth=(-0.06, 0.18), exposure_ev=(-0.32, 0.25),
        face_px=(102, 9), flare=(0.06, 0.05), compression=(-1.0, 2.0), clutter=(0.6, 0.2),
    ),
    attacks=(
        Attack("print", Printer("print/inkjet-photo", 0.45, False, paper=(0.90, 0.88, 0.84), depth=0.42, gloss=0.3, bend=0.5), True),
        Attack("cut", Printer("print/laser", 0.90, True, bend=0.6), True),
        Attack("replay_photo", Screen("display/laptop", 1.49, grid=0.75, black=0.048, gamut=0.75, glare=0.25, banding=0.15, bands=3.2), False),
        Attack("replay_video", Screen("display/oled", 1.08, grid=0.80, black=0.006, gamut=1.0, banding=0.12, bands=5.5), True),
    ),
)  # fmt: skip

DOMAINS = {domain.name: domain for domain in (_PHONE, _WEBCAM, _LAPTOP, _TABLET)}
