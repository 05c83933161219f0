//! For each of the four replaced servers (the originals): scripted runs of what its real clients and
//! backends send, written from observed traffic. Each run checks that the server delivers what the
//! original delivers.

mod bandwidth;
mod charsets;
mod devices;
mod editor;
mod publisher;
mod sdk;
mod tunnel;
mod wsaas;
