"""The bodies of the 14 paths that scripts on the clusters have always called.

Names on the wire are v2's and stay so. What older software refused without need is
taken here: a null disposable barcode, an unknown subject, a number as job id.
"""

from typing import Annotated

from pydantic import Field, RootModel

from schemas.attempts import Barcode, WireModel
from schemas.files import Crc32
from schemas.guid import FileName
from schemas.storable import Json, Text, Word
from schemas.times import Moment


class JobBody(WireModel):
    """`queue_job` and `start_job`. A `job_id` of -1 says that the cluster's queue is full."""

    guid: Word
    job_name: Word
    job_id: Word
    timestamp: Moment


class UpdateAssetBody(WireModel):
    """`update_asset`: a job's outcome, and metadata by v2 or v3 names."""

    guid: Word
    job: Word
    status: Word
    data: Json


class BarcodeBody(WireModel):
    """`barcode`: MSO is several specimens in one asset, MOS one specimen in several assets."""

    guid: Word
    job: Word
    status: Word
    barcodes: tuple[Text, ...]
    asset_subject: Text
    MSO: bool
    MOS: bool
    label: bool
    disposable: Text | None = None

    def as_barcode(self) -> Barcode:
        """The same as the runner's message."""
        return Barcode(
            barcodes=self.barcodes,
            disposable=self.disposable or None,
            label=self.label,
            asset_subject=self.asset_subject,
            multi_specimen=self.MSO,
            multi_object=self.MOS,
        )


class FailJobBody(JobBody):
    """`failed_job`: RETRY, ERROR, PAUSED (the queue is full), or a status that changes nothing."""

    fail_status: Word
    hpc_message: Text | None = "No message"
    hpc_exception: Text | None = None


class FileInfoBody(WireModel):
    """`derivative_file_info`: `check_sum` is CRC32, `file_size` whole MB rounded up."""

    guid: Word
    name: FileName
    type: Text
    check_sum: Crc32
    file_size: Annotated[int, Field(ge=0, le=10**6)]


class FailDerivativeBody(WireModel):
    """`fail_derivative_creation`: `guid` is the parent's."""

    guid: Word
    ppi: Annotated[int, Field(ge=1, le=100_000)]
    note: Text | None = None


class DerivativeBody(RootModel[Json]):
    """`derivative`: the metadata of a new asset, v2.1.0 or v3 (see `schemas.metadata`)."""
