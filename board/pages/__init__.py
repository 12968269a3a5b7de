"""The pages, a file each; who adds one names its router here."""

from fastapi import APIRouter

from board.pages import acting, attention, health, login, pipelines, reports, sessions, today

ROUTERS: tuple[APIRouter, ...] = (
    health.router,
    login.router,
    today.router,
    sessions.router,
    pipelines.router,
    attention.router,
    reports.router,
    acting.router,
)
