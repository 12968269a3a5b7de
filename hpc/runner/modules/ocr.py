"""What do the labels say? Their printed text, in reading order."""

from dataclasses import asdict

from hpc.runner.job import Job, Result, result
from hpc.runner.source import source_image

NAME = "ocr"
NEEDS = ("PIL", "numpy", "pyvips", "rapidocr", "onnxruntime")
TAKES = ("min_confidence", "accept_black", "max_pixels")
GIVES = ("metadata", "details")

MIN_CONFIDENCE = 0.8
MAX_READ_PIXELS = 150_000_000
"""Of the image as it is read, half a gigabyte; a larger one is reduced to it first."""


def run(job: Job) -> Result:
    """The text as metadata `tags.ocr`; lines with box and confidence in the details.

    No text, or a mean confidence below `min_confidence` (0.8), is a result with a warning.
    Params: `min_confidence`, `accept_black`, `max_pixels`. Raises BadInput naming the file.
    """
    from hpc.runner.imaging.picture import image_errors, read_colour
    from hpc.runner.imaging.text import mean_confidence, read_labels

    path, max_pixels, warnings = source_image(job)
    image, size = read_colour(path, max_pixels, max_read=MAX_READ_PIXELS)
    with image_errors(path):
        labels = read_labels(image, job.threads)
    scale = max(size) / max(image.width, image.height)
    confidence = mean_confidence(line for label in labels for line in label.lines)
    if not labels:
        warnings.append(f"no text found in {path.name}")
    elif confidence < job.params.get("min_confidence", MIN_CONFIDENCE):
        warnings.append(f"the text of {path.name} was read with confidence {confidence:.2f} only")
    details = {
        "image": path.name,
        "size": list(size),
        "confidence": round(confidence, 3),
        "labels": [
            {
                "box": list(label.box.scaled(scale)),
                "lines": [
                    {**asdict(line), "box": list(line.box.scaled(scale))} for line in label.lines
                ],
            }
            for label in labels
        ],
    }
    # A line of text a line, a blank line between labels.
    text = "\n\n".join("\n".join(line.text for line in label.lines) for label in labels)
    metadata = {"tags.ocr": text} if labels else {}
    return result(metadata=metadata, details=details, warnings=warnings)
