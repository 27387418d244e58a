package kernel

import _ "github.com/cilium/ebpf"
