"""Images from files to tensors that an image classifier takes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor, nn

from xaicore.errors import FileError, InputError

IMAGE_SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")
_EIGHT_BIT_MODES = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr", "HSV", "LAB")


@dataclass(frozen=True)
class ImageOptions:
    """How pixels become inputs: values in [0, 1], then ``(value - mean) / std`` per channel.

    Attributes
    ----------
    size
        Height and width: the image is scaled to cover them and cropped around its centre. None keeps it as it is.
    mean, std
        One number, or one a channel.
    channels
        1 for greyscale, 3 for colour.
    """

    size: tuple[int, int] | None = None
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)
    channels: int = 3

    def __post_init__(self) -> None:
        if self.channels not in (1, 3):
            raise InputError(f"The model takes {self.channels} channels; images have 1 or 3. Use a .npy or .pt file.")
        for name, values in (("--mean", self.mean), ("--std", self.std)):
            if len(values) not in (1, self.channels):
                raise InputError(f"{name} has {len(values)} values for {self.channels} channels.")
        if any(value <= 0 for value in self.std):
            raise InputError(f"--std must be positive, not {self.std}.")


def input_channels(model: nn.Module) -> int:
    """Return the channels of the images that a model takes: those of its first two-dimensional convolution, or 3."""
    for module in model.modules():
        if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
            return module.in_channels
    # Of an exported program only the parameters are left.
    return next((tensor.shape[1] for tensor in model.parameters() if tensor.dim() == 4), 3)


def read_image(path: Path, options: ImageOptions) -> Tensor:
    """Return the image in a file as a float tensor (channels, height, width).

    Raises
    ------
    FileError
        Where the file is no image, or one with more than 8 bits a channel, which a conversion would clip.
    """
    try:
        with Image.open(path) as opened:
            if opened.mode not in _EIGHT_BIT_MODES:
                raise FileError(
                    f"{str(path)!r} has pixels of type {opened.mode!r}, more than 8 bits a channel. Convert it to an "
                    "8-bit image, or give the values as a .npy file."
                )
            image = ImageOps.exif_transpose(opened).convert("L" if options.channels == 1 else "RGB")
    except (UnidentifiedImageError, OSError, Image.DecompressionBombError) as error:
        if isinstance(error, FileError):
            raise
        raise FileError(f"{str(path)!r} cannot be read as an image: {error}") from error
    if options.size is not None:
        height, width = options.size
        image = ImageOps.fit(image, (width, height), Image.Resampling.BILINEAR)
    values = torch.from_numpy(np.array(image, dtype=np.float32) / 255)
    values = values[None] if values.dim() == 2 else values.permute(2, 0, 1)
    mean, std = (torch.tensor(each)[:, None, None] for each in (options.mean, options.std))
    return ((values - mean) / std).contiguous()
