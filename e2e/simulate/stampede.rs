//! A thousand pods on one Consul that comes back.
