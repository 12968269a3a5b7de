"""The pages, a file each; who adds one names its router here."""

from fastapi import APIRouter

from board.pages import find, health, pictures, specimen

ROUTERS: tuple[APIRouter, ...] = (health.router, find.router, pictures.router, specimen.router)
