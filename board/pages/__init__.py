"""The pages, a file each; who adds one names its router here."""

from fastapi import APIRouter

from board.pages import acting, attention, health, sessions

ROUTERS: tuple[APIRouter, ...] = (
    health.router,
    sessions.router,
    attention.router,
    acting.router,
)
