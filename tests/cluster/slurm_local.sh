#!/usr/bin/env bash
# A one-node Slurm on loopback, without systemd or cgroups, for the cluster test. Needs root.
#   slurm_local.sh install        Debian's slurm-wlm and munge
#   slurm_local.sh start DIR      cluster with its state in DIR; waits until the node is idle
#   slurm_local.sh stop DIR       ends everything that start began
set -euo pipefail

MUNGE_PID=/run/munge/munged.pid

install_packages() {
    command -v slurmctld >/dev/null && command -v munged >/dev/null && return
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends slurm-wlm munge
}

# Ends the daemon of a pid file and waits for it, 20 s at most; then it is killed.
end() {
    local pid
    [ -s "$1" ] || return 0
    pid=$(cat "$1")
    kill "$pid" 2>/dev/null || return 0
    for _ in $(seq 100); do
        kill -0 "$pid" 2>/dev/null || return 0
        sleep 0.2
    done
    kill -9 "$pid" 2>/dev/null || true
}

stop() {
    end "$1/slurmd.pid"
    end "$1/slurmctld.pid"
    if [ -e "$1/started-munge" ]; then
        end "$MUNGE_PID"
        rm -f "$1/started-munge"
    fi
    if [ "$(readlink /etc/slurm/slurm.conf 2>/dev/null)" = "$1/slurm.conf" ]; then
        rm -f /etc/slurm/slurm.conf
    fi
}

start() {
    local state=$1 host memory
    host=$(hostname -s)
    memory=$(($(awk '/MemTotal/ {print $2}' /proc/meminfo) / 1024 - 512))
    mkdir -p "$state"/{controller,node,log} /etc/slurm
    install -d -o munge -g munge -m 0755 /run/munge
    if [ ! -s /etc/munge/munge.key ]; then
        dd if=/dev/urandom of=/etc/munge/munge.key bs=1024 count=1 status=none
        chown munge:munge /etc/munge/munge.key
        chmod 400 /etc/munge/munge.key
    fi
    if ! pgrep -x munged >/dev/null; then
        rm -f "$MUNGE_PID" # of a munged that was killed: its number may be another process by now
        touch "$state/started-munge"
        runuser -u munge -- /usr/sbin/munged --pid-file="$MUNGE_PID"
    fi
    cat >"$state/slurm.conf" <<CONF
ClusterName=test
SlurmctldHost=$host(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
SlurmctldPort=16817
SlurmdPort=16818
StateSaveLocation=$state/controller
SlurmdSpoolDir=$state/node
SlurmctldPidFile=$state/slurmctld.pid
SlurmdPidFile=$state/slurmd.pid
SlurmctldLogFile=$state/log/slurmctld.log
SlurmdLogFile=$state/log/slurmd.log
MpiDefault=none
SwitchType=switch/none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=1
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SchedulerParameters=bf_interval=1,sched_min_interval=0
ReturnToService=2
MinJobAge=300
NodeName=$host NodeAddr=127.0.0.1 CPUs=$(nproc) RealMemory=$memory State=UNKNOWN
PartitionName=test Nodes=$host Default=YES MaxTime=INFINITE State=UP
CONF
    # The executor plugin takes SLURM_CONF out of a job's environment: the default place must do.
    [ ! -e /etc/slurm/slurm.conf ] || [ -L /etc/slurm/slurm.conf ] || {
        echo "slurm_local.sh: this machine has a Slurm of its own; not touched" >&2
        exit 3
    }
    ln -sfn "$state/slurm.conf" /etc/slurm/slurm.conf
    /usr/sbin/slurmctld -c -f "$state/slurm.conf"
    /usr/sbin/slurmd -f "$state/slurm.conf"
    for _ in $(seq 60); do
        [ "$(sinfo -h -o %T 2>/dev/null)" = idle ] && return
        sleep 0.5
    done
    tail -n 20 "$state"/log/*.log >&2
    exit 1
}

case $1 in
    install) install_packages ;;
    start) start "$(realpath -m "$2")" ;;
    stop) stop "$(realpath -m "$2")" ;;
    *) sed -n '2,5s/^# //p' "$0"; exit 2 ;;
esac
