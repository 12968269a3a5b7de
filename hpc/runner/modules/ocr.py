"""What do the labels say? Their printed text, in reading order."""

from typing import TYPE_CHECKING

from hpc.runner.job import Job, Result, result

if TYPE_CHECKING:
    from hpc.runner.imaging.text import Label

NAME = "ocr"
NEEDS = ("PIL", "numpy", "pyvips", "rapidocr", "onnxruntime")
TAKES = ("min_confidence", "accept_black", "max_pixels")
GIVES = ("metadata", "details")

SURE = 0.8
MAX_READ_PIXELS = 150_000_000
"""Of the image as it is read, half a gigabyte; a larger one is reduced to it first."""


def run(job: Job) -> Result:
    """The text as metadata `tags.ocr`; lines with box and confidence in the details.

    No text, or a mean confidence below `min_confidence` (0.8), is a result with a warning.
    Params: `min_confidence`, `accept_black`, `max_pixels`. Raises BadInput naming the file.
    """
    from hpc.runner.imaging.picture import MAX_PIXELS, naming, read_colour
    from hpc.runner.imaging.text import read_labels
    from hpc.runner.imaging.whole import remarks

    path = job.image()
    max_pixels = job.params.get("max_pixels", MAX_PIXELS)
    warnings = remarks(path, max_pixels, accept_black=job.accept_black)
    image, size = read_colour(path, MAX_READ_PIXELS, max_pixels)
    with naming(path):
        labels = read_labels(image, job.threads)
    scale = max(size) / max(image.width, image.height)
    sure = mean_confidence(labels)
    if not labels:
        warnings.append(f"no text found in {path.name}")
    elif sure < job.params.get("min_confidence", SURE):
        warnings.append(f"the text of {path.name} was read with confidence {sure:.2f} only")
    details = {
        "image": path.name,
        "size": list(size),
        "confidence": round(sure, 3),
        "labels": [
            {
                "box": enlarged(label.box, scale),
                "lines": [
                    {
                        "text": line.text,
                        "confidence": line.confidence,
                        "box": enlarged(line.box, scale),
                    }
                    for line in label.lines
                ],
            }
            for label in labels
        ],
    }
    metadata = {"tags.ocr": text_of(labels)} if labels else {}
    return result(metadata=metadata, details=details, warnings=warnings)


def enlarged(box: tuple[int, int, int, int], scale: float) -> list[int]:
    """A box in the image as it was read, in pixels of the image itself."""
    return [round(value * scale) for value in box]


def text_of(labels: "list[Label]") -> str:
    """A line of text a line, a blank line between labels."""
    return "\n\n".join("\n".join(line.text for line in label.lines) for label in labels)


def mean_confidence(labels: "list[Label]") -> float:
    """Over all characters, so that one short doubtful line weighs little; 0 without text."""
    lines = [line for label in labels for line in label.lines]
    length = sum(len(line.text) for line in lines)
    return sum(len(line.text) * line.confidence for line in lines) / length if length else 0.0
