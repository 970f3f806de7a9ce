"""The messages of Espressif Unified Provisioning: `*.proto`, and what protoc made of them.

Source: `facts/esp-provisioning.md` §4 and §7. The `*_pb2.py` and `*_pb2.pyi` are checked in. To make them again, in an
environment with grpcio-tools 1.76.0 (its gencode, 6.31, is accepted by every protobuf runtime from 6.31 on), from the root:

    python -m grpc_tools.protoc -I. --python_out=. --pyi_out=. installer/provisioning/espressif/proto/*.proto
"""
