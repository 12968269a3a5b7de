"""The pages, a file each; who adds one names its router here."""

from fastapi import APIRouter

from board.pages import health

ROUTERS: tuple[APIRouter, ...] = (health.router,)
