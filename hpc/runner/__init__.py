"""What runs on a cluster: the runner of one batch, and the modules that read images.

It travels as a zipapp and runs under the site's own Python, so nothing here imports
anything but the standard library, the imaging libraries and its own package.
"""
