"""The libraries that the modules import, as pip names them.

The reader of text by its minor version: what the `ocr` module knows of its likelihoods was
measured on the model of that one.
"""

IMAGING = (
    "numpy",
    "pillow",
    "pyvips",
    "pyvips-binary",
    "rapidocr==3.10.*",
    "onnxruntime",
    "zxing-cpp",
)
"""What the modules import, beyond the standard library."""
