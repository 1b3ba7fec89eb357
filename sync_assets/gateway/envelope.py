"""The envelope of every good answer: `{"code": "OK", "data": ..., "meta": {"message": ...}}`."""

from __future__ import annotations

from typing import Generic, Literal, TypeVar

from pydantic import BaseModel

Data = TypeVar("Data")


class Meta(BaseModel):
    message: str = ""


class Ok(BaseModel, Generic[Data]):
    """`Ok[Thing]` as a return type gives the endpoint its schema; `Ok(data=thing)` is the answer."""

    code: Literal["OK"] = "OK"
    data: Data
    meta: Meta | None = None
