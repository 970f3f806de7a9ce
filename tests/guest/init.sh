#!/bin/bash
# The guest's first process. It runs the jobs that the host puts into /exchange/jobs, one after the other, each beside a
# bus of its own, and powers off when the host says so, or after a quarter of an hour without a job.
# A job is a folder with `ready`: `checkout.tar` and `job.sh` come from the host; `output`, `status` and `out/` go back.
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root TERM=dumb LANG=C.UTF-8
IDLE_SECONDS=900
mount -t proc proc /proc
mount -t sysfs sys /sys
mkdir -p /dev/pts /dev/shm
mount -t devpts devpts /dev/pts
mount -t tmpfs tmpfs /dev/shm
mount -t tmpfs tmpfs /run
mount -t tmpfs tmpfs /tmp
mount -t 9p -o trans=virtio,version=9p2000.L,msize=262144 exchange /exchange
mount -t 9p -o trans=virtio,version=9p2000.L shared /shared
hostname guest
ip link set lo up
mkdir -p /run/dbus
modprobe -a hci_vhci ecdh_generic cmac ecb 2>/dev/null
up="$(uname -r), BlueZ $(/usr/libexec/bluetooth/bluetoothd --version), up after $(cut -d' ' -f1 /proc/uptime) s"

unpack() { # the checkout of this job; what Python compiled of the same files before is kept
    tar -x -C /checkout -f "$1"
    tar -t -f "$1" | sort >/run/in-checkout
    (cd /checkout && find . -type f ! -path '*/__pycache__/*' | cut -c3- | sort | comm -23 - /run/in-checkout | xargs -r -d '\n' rm -f)
}

run() {
    unpack "$1/checkout.tar"
    rm -rf /out /tmp/* /run/dbus/*
    mkdir "$1/out"
    ln -s "$1/out" /out
    dbus-daemon --system --fork
    echo "The guest: $up."
    cd /checkout && bash "$1/job.sh"
}

if [ -e /exchange/shell ]; then
    unpack /exchange/checkout.tar
    dbus-daemon --system --fork
    TERM=linux setsid --ctty bash -i </dev/ttyS0 >/dev/ttyS0 2>&1
    touch /exchange/stop
fi
idle_since=$SECONDS
while [ ! -e /exchange/stop ] && [ $((SECONDS - idle_since)) -lt $IDLE_SECONDS ]; do
    for ready in /exchange/jobs/*/ready; do
        [ -e "$ready" ] || continue
        job=${ready%/ready}
        rm "$ready"
        run "$job" >"$job/output" 2>&1
        echo $? >/run/status
        kill -9 -1 # what a test has left; this process itself is spared
        dmesg >"$job/out/dmesg.log"
        cp /run/status "$job/status.part"
        mv "$job/status.part" "$job/status"
        idle_since=$SECONDS
    done
    busybox usleep 100000
done
echo o >/proc/sysrq-trigger
sleep 10
