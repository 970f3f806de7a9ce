"""The messages of Nordic's Wi-Fi provisioning: `wifi_provisioning.proto`, and what protoc made of it.

Source: `facts/other-ble-provisioning.md` §2. The `*_pb2.py` and `*_pb2.pyi` are checked in. To make them again, in an
environment with grpcio-tools 1.76.0 (its gencode, 6.31, is accepted by every protobuf runtime from 6.31 on), from the root:

    python -m grpc_tools.protoc -I. --python_out=. --pyi_out=. installer/provisioning/nordic/proto/*.proto
"""
