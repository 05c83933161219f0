//! For each original a scripted run of what its real clients and backends send, written from
//! their traffic; it ends in what the original would have delivered.

mod bandwidth;
mod charsets;
mod devices;
mod editor;
mod publisher;
mod sdk;
mod tunnel;
mod wsaas;
