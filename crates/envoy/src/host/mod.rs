//! Envoy's functions, as bytes and results.
//!
//! The SDK's own getters panic on headers that are not UTF-8 and on statuses that they do not know;
//! a panic costs every request of the worker. These never do.
#![allow(unsafe_code)]

mod foreign;
mod header_map;
mod property;
mod shared_data;

use core::ptr;

pub(crate) use foreign::verify_signature;
pub(crate) use header_map::HeaderMap;
pub(crate) use property::{
    PropertyType, client_address, client_certificate, declare_property, has_vm_id, property,
    route_resource, set_property,
};
pub(crate) use shared_data::{Version, set_shared, shared};

/// A call that the host refused, with its status (proxy-wasm ABI 0.2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct HostError(pub(crate) u32);

/// How a line is logged.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Level {
    Debug = 1,
    Info = 2,
    Warn = 3,
    Critical = 5,
}

/// The maps of headers that the host keeps.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Map {
    Request = 0,
    Response = 2,
    CallResponse = 6,
}

/// The kinds of metrics that the host keeps.
#[derive(Clone, Copy, Debug)]
pub(crate) enum MetricKind {
    Counter = 0,
    Gauge = 1,
    Histogram = 2,
}

/// The buffers that the host keeps.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Buffer {
    RequestBody = 0,
    ResponseBody = 1,
    CallResponseBody = 4,
    PluginConfiguration = 7,
}

#[link(wasm_import_module = "env")]
unsafe extern "C" {
    fn proxy_add_header_map_value(
        map: u32,
        name: *const u8,
        name_length: usize,
        value: *const u8,
        value_length: usize,
    ) -> u32;
    fn proxy_continue_stream(stream_type: u32) -> u32;
    fn proxy_define_metric(kind: u32, name: *const u8, length: usize, id: *mut u32) -> u32;
    fn proxy_get_buffer_bytes(
        buffer: u32,
        start: usize,
        max: usize,
        data: *mut *mut u8,
        length: *mut usize,
    ) -> u32;
    fn proxy_get_current_time_nanoseconds(time: *mut u64) -> u32;
    fn proxy_get_header_map_pairs(map: u32, data: *mut *mut u8, length: *mut usize) -> u32;
    fn proxy_get_log_level(level: *mut u32) -> u32;
    fn proxy_increment_metric(id: u32, offset: i64) -> u32;
    fn proxy_record_metric(id: u32, value: u64) -> u32;
    fn proxy_log(level: u32, message: *const u8, length: usize) -> u32;
    fn proxy_remove_header_map_value(map: u32, name: *const u8, length: usize) -> u32;
    fn proxy_replace_header_map_value(
        map: u32,
        name: *const u8,
        name_length: usize,
        value: *const u8,
        value_length: usize,
    ) -> u32;
    fn proxy_send_local_response(
        status: u32,
        details: *const u8,
        details_length: usize,
        body: *const u8,
        body_length: usize,
        headers: *const u8,
        headers_length: usize,
        grpc_status: i32,
    ) -> u32;
    fn proxy_set_buffer_bytes(
        buffer: u32,
        start: usize,
        length: usize,
        data: *const u8,
        data_length: usize,
    ) -> u32;
    fn proxy_set_effective_context(id: u32) -> u32;
    fn proxy_set_tick_period_milliseconds(period: u32) -> u32;
}

const fn check(status: u32) -> Result<(), HostError> {
    if status == 0 { Ok(()) } else { Err(HostError(status)) }
}

/// Logs a line. A host that does not take it cannot be told.
pub(crate) fn log(level: Level, message: &str) {
    // SAFETY: pointer and length are those of a live string.
    let _ = unsafe { proxy_log(level as u32, message.as_ptr(), message.len()) };
}

/// The least level that Envoy logs.
pub(crate) fn log_level() -> Result<u32, HostError> {
    let mut level = 0;
    // SAFETY: the host writes one u32.
    check(unsafe { proxy_get_log_level(&raw mut level) })?;
    Ok(level)
}

/// Seconds since the epoch.
pub(crate) fn now() -> Result<u64, HostError> {
    Ok(nanoseconds()? / 1_000_000_000)
}

/// Nanoseconds since the epoch.
pub(crate) fn nanoseconds() -> Result<u64, HostError> {
    let mut nanoseconds = 0;
    // SAFETY: the host writes one u64.
    check(unsafe { proxy_get_current_time_nanoseconds(&raw mut nanoseconds) })?;
    Ok(nanoseconds)
}

/// All of a map.
pub(crate) fn headers(map: Map) -> Result<HeaderMap, HostError> {
    let (mut data, mut length) = (ptr::null_mut(), 0);
    // SAFETY: the host writes a pointer and a length.
    check(unsafe { proxy_get_header_map_pairs(map as u32, &raw mut data, &raw mut length) })?;
    HeaderMap::read(take(data, length)).ok_or(HostError(MALFORMED))
}

/// At most `max` bytes of a buffer from `start` on.
pub(crate) fn buffer(buffer: Buffer, start: usize, max: usize) -> Result<Vec<u8>, HostError> {
    let (mut data, mut length) = (ptr::null_mut(), 0);
    // SAFETY: the host writes a pointer and a length.
    let status = unsafe {
        proxy_get_buffer_bytes(buffer as u32, start, max, &raw mut data, &raw mut length)
    };
    match status {
        // There is nothing in it.
        NOT_FOUND => Ok(Vec::new()),
        status => check(status).map(|()| take(data, length)),
    }
}

/// Replaces the first `length` bytes of a buffer.
pub(crate) fn set_buffer(buffer: Buffer, length: usize, data: &[u8]) -> Result<(), HostError> {
    // SAFETY: pointer and length are those of a live slice.
    check(unsafe { proxy_set_buffer_bytes(buffer as u32, 0, length, data.as_ptr(), data.len()) })
}

/// Removes every value of a header.
pub(crate) fn remove_header(map: Map, name: &str) -> Result<(), HostError> {
    // SAFETY: pointer and length are those of a live string.
    check(unsafe { proxy_remove_header_map_value(map as u32, name.as_ptr(), name.len()) })
}

/// Sets a header, replacing what was there.
pub(crate) fn set_header(map: Map, name: &str, value: &str) -> Result<(), HostError> {
    // SAFETY: pointers and lengths are those of live strings.
    check(unsafe {
        proxy_replace_header_map_value(
            map as u32,
            name.as_ptr(),
            name.len(),
            value.as_ptr(),
            value.len(),
        )
    })
}

/// Adds a header beside others of its name.
pub(crate) fn add_header(map: Map, name: &str, value: &str) -> Result<(), HostError> {
    // SAFETY: pointers and lengths are those of live strings.
    check(unsafe {
        proxy_add_header_map_value(
            map as u32,
            name.as_ptr(),
            name.len(),
            value.as_ptr(),
            value.len(),
        )
    })
}

/// Answers the current request. `details` shows up as Envoy's response code details.
pub(crate) fn respond<'a>(
    status: u16,
    details: &str,
    headers: impl Iterator<Item = (&'a str, &'a str)> + Clone,
    body: &[u8],
) -> Result<(), HostError> {
    let headers = write_pairs(headers);
    // SAFETY: pointers and lengths are those of live slices.
    check(unsafe {
        proxy_send_local_response(
            u32::from(status),
            details.as_ptr(),
            details.len(),
            body.as_ptr(),
            body.len(),
            headers.as_ptr(),
            headers.len(),
            -1,
        )
    })
}

/// Lets the current request go on.
pub(crate) fn continue_request() -> Result<(), HostError> {
    // SAFETY: no memory is shared. 0 is the request's stream.
    check(unsafe { proxy_continue_stream(0) })
}

/// Makes another request, or the root, the current one.
pub(crate) fn set_current(context: u32) -> Result<(), HostError> {
    // SAFETY: no memory is shared.
    check(unsafe { proxy_set_effective_context(context) })
}

/// Asks for a tick of the root after so many milliseconds, and again and again.
pub(crate) fn set_tick(milliseconds: u32) -> Result<(), HostError> {
    // SAFETY: no memory is shared.
    check(unsafe { proxy_set_tick_period_milliseconds(milliseconds) })
}

/// A new metric.
pub(crate) fn define_metric(kind: MetricKind, name: &str) -> Result<u32, HostError> {
    let mut id = 0;
    // SAFETY: pointer and length are those of a live string; the host writes one u32.
    check(unsafe { proxy_define_metric(kind as u32, name.as_ptr(), name.len(), &raw mut id) })?;
    Ok(id)
}

/// Adds to a counter, or to a gauge, which may be less than nothing.
pub(crate) fn add(metric: u32, difference: i64) -> Result<(), HostError> {
    // SAFETY: no memory is shared.
    check(unsafe { proxy_increment_metric(metric, difference) })
}

/// Sets a gauge, or adds a value to a histogram.
pub(crate) fn record(metric: u32, value: u64) -> Result<(), HostError> {
    // SAFETY: no memory is shared.
    check(unsafe { proxy_record_metric(metric, value) })
}

/// There is no such thing.
pub(crate) const NOT_FOUND: u32 = 1;
const MALFORMED: u32 = 4;

/// What the host allocated with our own allocator.
fn take(data: *mut u8, length: usize) -> Vec<u8> {
    if data.is_null() || length == 0 {
        return Vec::new();
    }
    // SAFETY: the host got `length` bytes from `proxy_on_memory_allocate`, which gives out a boxed
    // slice of exactly that length, and leaves them to us.
    unsafe { Box::from_raw(ptr::slice_from_raw_parts_mut(data, length)) }.into_vec()
}

fn write_pairs<'a>(pairs: impl Iterator<Item = (&'a str, &'a str)> + Clone) -> Vec<u8> {
    let length = |text: &str| u32::try_from(text.len()).unwrap_or(u32::MAX).to_le_bytes();
    let count = u32::try_from(pairs.clone().count()).unwrap_or(u32::MAX);
    let mut bytes = count.to_le_bytes().to_vec();
    for (name, value) in pairs.clone() {
        bytes.extend(length(name));
        bytes.extend(length(value));
    }
    for (name, value) in pairs {
        for text in [name, value] {
            bytes.extend(text.as_bytes());
            bytes.push(0);
        }
    }
    bytes
}
