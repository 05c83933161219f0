//! What the simulated station has to play: songs, links and spots, all invented.
//! Knows no order and no clock.

/// A song. Names are written in many ways on purpose: they go through XML, JSON
/// and a listener's screen, and must come out as they are here.
pub(super) struct Song {
    pub(super) title: &'static str,
    pub(super) artist: &'static str,
    pub(super) album: &'static str,
    /// What is played of it.
    pub(super) seconds: u32,
}

/// What is no song: listeners never see what it is called.
pub(super) struct Between {
    pub(super) title: &'static str,
    /// The advertiser of a spot; a link has none.
    pub(super) advertiser: &'static str,
    pub(super) seconds: u32,
}

const fn song(
    artist: &'static str,
    title: &'static str,
    album: &'static str,
    seconds: u32,
) -> Song {
    Song {
        title,
        artist,
        album,
        seconds,
    }
}

const fn link(title: &'static str, seconds: u32) -> Between {
    spot("", title, seconds)
}

const fn spot(advertiser: &'static str, title: &'static str, seconds: u32) -> Between {
    Between {
        title,
        advertiser,
        seconds,
    }
}

pub(super) const SONGS: [Song; 40] = [
    song("Paper Lanterns", "Don't Wait Up", "Late Shift", 214),
    song(
        "The Gravel Choir",
        "Salt & Cinders",
        "Hymns for Trucks",
        251,
    ),
    song("Öde Küste", "Über den Fluß", "Möwenjahre", 198),
    song("Nina Varga", "Half a Mile of Rain", "Nina Varga", 233),
    song("Static Orchard", "\"Hello,\" She Said", "Quotations", 176),
    song("夜のカモメ", "波止場の灯り", "潮風", 242),
    song("Mudlark & Sons", "Rope, Tar & Tallow", "Wharf", 187),
    song("Café Perdu", "L'été d'après", "Où vont les trains ?", 205),
    song(
        "Brass Telegraph",
        "Stop. Letter Follows. Stop.",
        "Wire",
        164,
    ),
    song("Зимний Парк", "Последний трамвай", "Фонари", 259),
    song("Dolores Quick", "Ain't No Ladder", "Rooms for Rent", 221),
    song(
        "The Polite Riot",
        "Excuse Me <While I Shout>",
        "Manners",
        149,
    ),
    song("Señor Niebla", "Mañana no sé", "Corazón de papel", 228),
    song("Halfway Hank", "Honest Work", "", 193),
    song("Ευδία", "Το νησί κοιμάται", "Μελτέμι", 274),
    song("Sister Magnolia", "Porch Light", "Things We Kept", 246),
    song("Ümlaut Ünion", "Ärger im Äther", "Rückkopplung!", 158),
    song("Tomás Ó Briain", "Fiche Bliain", "Geimhreadh", 236),
    song(
        "Low Tide Lottery",
        "Numbers 4, 8 & 15",
        "Low Tide Lottery",
        209,
    ),
    song("Kite Weather", "100% Chance", "Forecasts", 182),
    song("한밤의 우체국", "답장", "느린 편지", 227),
    song("Ferrous Wheel", "Rust Never Weeps", "Midway", 268),
    song("Ines & the Atlas", "Map of Nowhere", "Legend", 216),
    song("Grain Elevator", "Kansas, Mostly", "Horizontal", 312),
    song("Małgorzata Lis", "Źródło", "Łąka o świcie", 201),
    song("The Understudies", "What's My Line?", "Act Two", 171),
    song("Blue Ditto", "Copy/Paste", "Carbon", 195),
    song("Night Bus Home", "N29", "Top Deck", 238),
    song("שקט בבקשה", "חלון פתוח", "רחוב צדדי", 219),
    song("Çağla Deniz", "İki Gün", "Şehir Işıkları", 224),
    song("Tin Parade", "Left; Right; Left", "Marching Orders", 154),
    song("Old Router", "Please Hold", "Music on Hold", 347),
    song("Ruth & Ruthless", "Sugar 'n' Spite", "Pair", 189),
    song("Far Lighthouse", "Every Eleven Seconds", "Signals", 281),
    song("قمر الصيف", "طريق البحر", "نوافذ", 253),
    song("Jo Carrow", "I'd Rather Walk", "Sundays", 177),
    song("Smörgås Bård", "Is på sjön", "Nordnordväst", 211),
    song(
        "The Second Rehearsal",
        "Once More, from the Top",
        "Encore",
        263,
    ),
    song("Velvet Abacus", "2 + 2 = Us", "Sums", 184),
    song("Sparrow Tax", "Goodnight, Transmitter ☾", "Sign-off", 295),
];

pub(super) const LINKS: [Between; 8] = [
    link("Station ID 1", 6),
    link("Station ID 2 (whispered)", 9),
    link("Jingle: top of the hour", 12),
    link("Jingle: \"more music\"", 5),
    link("Sweeper, dry", 4),
    link("Sweeper & laser", 4),
    link("Weather bed", 38),
    link("Presenter: what's on campus", 54),
];

pub(super) const SPOTS: [Between; 8] = [
    spot("Dromedary Mattress Barn", "Spring Sale", 30),
    spot("Pickle & Daughters, Attorneys", "Injured? Call Us", 30),
    spot("Quick Lou's Tire World", "Buy 3 Get 1", 15),
    spot("Zanzibar Credit Union", "Free Checking", 30),
    spot("Brüderle Bakery", "Fresh at Five", 20),
    spot("Happy Mole Pest Control", "They're Back", 15),
    spot("Grandma Tillie's Storage", "First Month Free", 30),
    spot("Okapi Wireless", "Unlimited-ish", 60),
];
